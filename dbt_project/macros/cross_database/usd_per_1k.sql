{#
    1000 × `amount` (numeric(38, 12), USD) ÷ `quantity` (bigint) as numeric(38, 12), rounded half away from zero;
    NULL when the quantity is 0 or unknown.
#}
{% macro usd_per_1k(amount, quantity) -%}
    {{ return(adapter.dispatch('usd_per_1k', 'llmops_warehouse')(amount, quantity)) }}
{%- endmacro %}

{% macro default__usd_per_1k(amount, quantity) -%}
    cast({{ amount }} * 1000 / nullif({{ quantity }}, 0) as numeric(38, 12))
{%- endmacro %}

{# DuckDB divides decimals as doubles: divide whole trillionths of a dollar instead. #}
{% macro duckdb__usd_per_1k(amount, quantity) -%}
    {%- set trillionths = 'cast(' ~ amount ~ ' * 1000000000000 as hugeint)' -%}
    cast(
        sign({{ amount }})
        * ((abs({{ trillionths }}) * 2000 + {{ quantity }}) // nullif(2 * {{ quantity }}, 0)) as numeric(38, 0)
    ) * cast(0.000000000001 as numeric(12, 12))
{%- endmacro %}
