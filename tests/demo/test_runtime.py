"""Fetching the web runtime, with a stand-in for npm."""

import subprocess
import sys

import pytest

from bridge_tf.demo.runtime import runtime_folder
from bridge_tf.utils.errors import InputError

WHOLE = """
mkdir -p node_modules/@litertjs/core/dist node_modules/@litertjs/core/wasm
mkdir -p node_modules/@litertjs/wasm-utils/dist
cd node_modules/@litertjs
echo js > core/dist/index.js; echo js > wasm-utils/dist/index.js
echo js > core/wasm/litert_wasm_internal.js; echo wasm > core/wasm/litert_wasm_internal.wasm
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bridge_tf"


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts a program called npm, of this shell text, before others; it notes its calls."""

    def npm(script: str):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "npm").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{script}')
        (folder / "npm").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        return tmp_path / "calls"

    return npm


def test_it_is_fetched_once(cache, npm):
    calls = npm(f"test -f package-lock.json && test -f package.json || exit 1\n{WHOLE}")
    folder = runtime_folder()
    assert folder == cache / "litert-web-2.5.3"
    assert runtime_folder() == folder
    assert [line.split()[:2] for line in calls.read_text().splitlines()] == [
        ["ci", "--ignore-scripts"]
    ]
    assert [path.name for path in cache.iterdir()] == [folder.name]


def test_what_is_damaged_is_fetched_again(cache, npm):
    npm(WHOLE)
    folder = runtime_folder()
    (folder / "node_modules/@litertjs/core/wasm/litert_wasm_internal.wasm").unlink()
    assert runtime_folder() == folder
    assert (folder / "node_modules/@litertjs/core/wasm/litert_wasm_internal.wasm").exists()
    assert [path.name for path in cache.iterdir()] == [folder.name]


# What npm may write before and after its first error.
NOTICES = """
npm notice New version of npm available!
npm warn old lockfile

npm error
npm error code ECONNREFUSED
npm error more
"""


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (f"cat >&2 <<'END'{NOTICES}END\nexit 1", r"\(code ECONNREFUSED\)"),
        ('echo "npm ERR! code ENOTFOUND" >&2; exit 1', r"\(code ENOTFOUND\)"),
        ('echo "npm notice new" >&2; echo "node: bad option" >&2; exit 9', r"\(node: bad option\)"),
        ('echo "npm notice new" >&2; exit 7', r"\(exit status 7\)"),
        ('echo "npm warn old" >&2; mkdir -p node_modules', r"\(it leaves files out\)"),
    ],
)
def test_a_failure_says_how_to_get_it_and_leaves_nothing(cache, npm, script, why):
    npm(script)
    with pytest.raises(InputError, match=rf"{why}.*npm install @litertjs/core@2\.5\.3.*`runtime="):
        runtime_folder()
    assert list(cache.iterdir()) == []


def test_npm_is_not_waited_for_without_end(cache, npm, monkeypatch):
    monkeypatch.setattr("bridge_tf.demo.runtime._MINUTES", 0.005)
    npm("sleep 20")
    with pytest.raises(InputError, match=r"\(it isn't done after 0.005 minutes\): connect to"):
        runtime_folder()
    assert list(cache.iterdir()) == []


def test_without_npm_it_says_what_to_install(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        InputError, match=r"install Node\.js with npm, or elsewhere run `npm install"
    ):
        runtime_folder()
    assert not cache.exists()


def test_two_processes_at_once_fetch_it_once(cache, npm):
    calls = npm(f"sleep 0.3\n{WHOLE}")
    script = "from bridge_tf.demo.runtime import runtime_folder; print(runtime_folder())"
    started = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    found = [process.communicate(timeout=30)[0].strip() for process in started]
    assert found == [str(cache / "litert-web-2.5.3")] * 2
    assert len(calls.read_text().splitlines()) == 1
    assert [path.name for path in cache.iterdir()] == ["litert-web-2.5.3"]


def test_what_a_killed_process_left_is_removed(cache, npm):
    (cache / ".litert-web-2.5.3" / "node_modules").mkdir(parents=True)
    (cache / ".litert-web-2.5.3" / "half").write_text("")
    npm(WHOLE)
    assert not (runtime_folder() / "half").exists()
    assert [path.name for path in cache.iterdir()] == ["litert-web-2.5.3"]


def test_a_named_folder_is_used_as_it_is(tmp_path, npm):
    with pytest.raises(InputError, match=r"`runtime`: .* has no node_modules/@litertjs/core/dist"):
        runtime_folder(str(tmp_path))
    subprocess.run(["sh", "-c", WHOLE], cwd=tmp_path, check=True)
    calls = npm("exit 1")
    assert runtime_folder(str(tmp_path)) == tmp_path
    assert not calls.exists()


def test_the_lock_file_names_no_host():
    from bridge_tf.demo import runtime

    text = (runtime._PACKAGES / "package-lock.json").read_text(encoding="utf-8")
    assert text.count('"integrity": "sha512-') == 2
    assert "resolved" not in text and "://" not in text
    assert f'@litertjs/core": "{runtime.VERSION}"' in text
