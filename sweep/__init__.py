"""The search for a training schedule that passes the promotion threshold."""
