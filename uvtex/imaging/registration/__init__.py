"""How pictures of one scene lie to each other."""
