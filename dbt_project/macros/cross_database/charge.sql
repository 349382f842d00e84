{# `tokens` (bigint) × `rate` (numeric(18, 15)) as US dollars, numeric(38, 12), rounded half away from zero. #}
{% macro charge(tokens, rate) -%}
    {{ return(adapter.dispatch('charge', 'llmops_warehouse')(tokens, rate)) }}
{%- endmacro %}

{% macro default__charge(tokens, rate) -%}
    cast(({{ tokens }}) * {{ rate }} as numeric(38, 12))
{%- endmacro %}

{#
    DuckDB multiplies decimals of 18 digits in 64 bits, where less than 1,000 USD have room; wider ones take a hundred times as
    long.
#}
{% macro duckdb__charge(tokens, rate) -%}
    case
        when {{ tokens }} between -1000000 and 1000000 and {{ rate }} < 0.0009
            then cast(cast({{ tokens }} as numeric(18, 0)) * {{ rate }} as numeric(38, 12))
        else cast(cast({{ tokens }} as numeric(19, 0)) * {{ rate }} as numeric(38, 12))
    end
{%- endmacro %}
