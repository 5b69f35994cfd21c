"""`python -m bridge_tf`: the command `bridge-tf`."""

from bridge_tf.cli.main import main

# Child processes import this module, too.
if __name__ == "__main__":
    main()
