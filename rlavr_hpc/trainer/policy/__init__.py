"""The trained policy: DeepSpeed, its passes and updates, and its weights' way to the engine."""
