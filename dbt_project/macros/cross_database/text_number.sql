{# A bigint by which texts can be told apart in sums: the first 32 bits of their md5, which take half the space of 64. #}
{% macro text_number(text) -%}
    {{ return(adapter.dispatch('text_number', 'llmops_warehouse')(text)) }}
{%- endmacro %}

{% macro default__text_number(text) -%}
    cast(cast('x' || substr(md5({{ text }}), 1, 8) as bit(32)) as bigint)
{%- endmacro %}

{% macro duckdb__text_number(text) -%}
    cast('0x' || substr(md5({{ text }}), 1, 8) as bigint)
{%- endmacro %}
