"""The data resource centre: what there is, how good it is, where it comes from and where it goes."""
