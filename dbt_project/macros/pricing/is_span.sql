{#
    Whether an operation of this type is the work of an agent, a workflow or a tool: what such an operation used is what the
    calls used that are part of it, where these are recorded.
#}
{% macro is_span(operation_type) -%}
    coalesce({{ operation_type }} in ('{{ span_types() | join("', '") }}'), false)
{%- endmacro %}
