{# The types of operations that are no calls of a model but may consist of some. #}
{% macro span_types() -%}
    {{ return([
        'invoke_agent', 'create_agent', 'invoke_workflow', 'agent', 'workflow', 'chain', 'execute_tool', 'tool'
    ]) }}
{%- endmacro %}
