"""Front-ends of statistics over trials and within them, and of tests by relabelling."""
