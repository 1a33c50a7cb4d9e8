"""Ray on a SLURM cluster: the nodes of an allocation, standing clusters, and the way to them.

Importing this package does not import Ray.
"""
