{# Characters of a raw message: texts are measured where they are and never copied to where they are not. #}
{% macro message_content_length() -%}
    {{ return(adapter.dispatch('message_content_length', 'llmops_warehouse')()) }}
{%- endmacro %}

{% macro default__message_content_length() -%}
    cast(char_length(content) as bigint)
{%- endmacro %}

{# The replica in DuckDB has the length in place of the text. #}
{% macro duckdb__message_content_length() -%}
    content_length
{%- endmacro %}
