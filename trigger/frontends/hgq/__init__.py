"""HGQ2 networks. Needs the extra [hgq]."""
