"""HGQ2 networks. What is here needs the extra [hgq]."""
