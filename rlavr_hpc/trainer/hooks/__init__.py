"""What happens around a training step: evaluation, record, heartbeat, checkpoints, warning."""
