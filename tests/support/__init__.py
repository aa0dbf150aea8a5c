"""What several tests share: looking into stores, starting processes, receiving OTLP."""
