"""What is sent to a provider and how its answers are judged, one module a specification."""
