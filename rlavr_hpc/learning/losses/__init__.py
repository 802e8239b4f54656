"""One file per loss; `rlavr_hpc.learning.loss` has what they share."""
