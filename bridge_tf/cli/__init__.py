"""The command `bridge-tf`. Nothing here imports TensorFlow before a subcommand has work for it."""
