"""What users call: validate, plan, execute, wrap."""
