"""The operation types that mean something to this package; any other text is a type as well."""

# Operations that hold others: what they report of tokens and cost, their parts report again. Most are the terms of
# OpenTelemetry's `gen_ai.operation.name`, the others those of frameworks.
SPAN_TYPES = frozenset(
    {"invoke_agent", "create_agent", "invoke_workflow", "agent", "workflow", "chain", "execute_tool", "tool"}
)
