// Where pictures come from: the examples, a chosen file, what is dropped or pasted.

const element = (id) => document.getElementById(id);

/**
 * Makes the buttons of the examples; each calls `take` with its file, or a promise of it, and its true
 * class.
 */
export function showExamples(examples, take) {
  element("gallery").hidden = !examples.length;
  element("examples").replaceChildren(
    ...examples.map(({ image, label }, k) => {
      const picture = Object.assign(document.createElement("img"), {
        src: image,
        alt: label ? `Example ${k + 1}, class ${label}` : `Example ${k + 1}`,
      });
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.append(picture);
      if (label) {
        const caption = Object.assign(document.createElement("span"), { textContent: label });
        caption.setAttribute("aria-hidden", "true");
        button.append(caption);
      }
      button.addEventListener("click", () => take(fetched(image), label));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}

async function fetched(image) {
  try {
    return await (await fetch(image)).blob();
  } catch {
    throw new Error("The example can't be fetched; bridge-tf demo must run as long as its page is used.");
  }
}

/** Calls `take` with each file that is chosen, dropped on the page or pasted. */
export function listenForFiles(take) {
  const takeFirst = (files) => files?.length && take(files[0]);
  element("file").addEventListener("change", (event) => {
    takeFirst(event.target.files);
    event.target.value = "";
  });
  document.addEventListener("paste", (event) => takeFirst(event.clipboardData?.files));
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      document.body.classList.toggle("dropping", name === "dragenter" || name === "dragover");
      if (name === "drop") takeFirst(event.dataTransfer.files);
    });
  }
}
