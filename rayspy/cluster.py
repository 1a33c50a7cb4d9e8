"""Placeholder until the Ray side is merged."""
def running_in_ray():
    return None
