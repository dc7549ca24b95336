"""Workers on the nodes of a Ray cluster. Nothing else imports Ray."""
