"""The files by which the two processes of a compression speak."""

# The graph from the input to features and members' logits, as Keras serializes it; the settings.
PLAN = "plan.json"
# By the path of a layer and a number, PATH:K.
WEIGHTS = "weights.npz"
# What is trained on, and the members' probabilities there, N×members×classes.
IMAGES, TARGETS = "images.npy", "targets.npy"
# What the graph gives for the first of the images, by the number of the output.
OUTPUTS = "outputs.npz"
# The answer: weights as above, or a file; or what was wrong.
COMPRESSED, TFLITE, ERROR = "compressed.npz", "model.tflite", "error.txt"
