"""What a build does, stage by stage."""
