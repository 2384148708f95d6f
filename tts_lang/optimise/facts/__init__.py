"""What passes know of a plan beyond its structure; each module says what makes it true."""
