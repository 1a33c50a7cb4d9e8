"""Front-ends of statistics over trials and within them."""
