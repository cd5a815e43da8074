"""The demo: the main job from nothing, on a real local chain, with a worker in its own process."""
