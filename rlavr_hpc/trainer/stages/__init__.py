"""The stages of a training step, a file each; what a stage returns, all ranks hold."""
