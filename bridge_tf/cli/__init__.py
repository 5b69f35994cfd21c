"""The commands in bin/. Nothing here imports TensorFlow before a command has work for it."""
