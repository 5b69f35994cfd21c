"""The command `bridge-tf`. TensorFlow is imported only once a subcommand needs it."""
