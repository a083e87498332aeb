"""What others use to test their part: contract suites and the embedded authorization server."""
