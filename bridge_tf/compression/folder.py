"""The files by which the two processes of a compression speak."""

# The graph from the input to features and members' logits, as Keras serializes it, and the settings.
PLAN = "plan.json"
# By the path of a layer and a number, PATH:K.
WEIGHTS = "weights.npz"
# What is trained on, and the members' probabilities there, N×members×classes.
IMAGES, TARGETS = "images.npy", "targets.npy"
# What the graph gives for the first of the images, by the number of the output.
OUTPUTS = "outputs.npz"
# The answer: weights as above, or a .tflite file, and what is known of it; or what was wrong.
COMPRESSED, TFLITE, RESULT, ERROR = "compressed.npz", "model.tflite", "result.json", "error.txt"
