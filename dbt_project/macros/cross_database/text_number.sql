{# A bigint (60 bits) by which texts can be told apart in sums: the beginning of their md5. #}
{% macro text_number(text) -%}
    {{ return(adapter.dispatch('text_number', 'llmops_warehouse')(text)) }}
{%- endmacro %}

{% macro default__text_number(text) -%}
    cast(cast('x' || substr(md5({{ text }}), 1, 15) as bit(60)) as bigint)
{%- endmacro %}

{% macro duckdb__text_number(text) -%}
    cast('0x' || substr(md5({{ text }}), 1, 15) as bigint)
{%- endmacro %}
