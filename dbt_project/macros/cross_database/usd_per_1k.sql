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

{#
    DuckDB divides decimals as doubles: divide whole trillionths of a dollar instead. These are the amount's digits without the
    point; multiplied, amounts from 1e14 USD would have no room.
#}
{% macro duckdb__usd_per_1k(amount, quantity) -%}
    {%- set trillionths = "cast(replace(cast(" ~ amount ~ " as varchar), '.', '') as hugeint)" -%}
    cast(
        sign({{ amount }}) * sign({{ quantity }})
        * ((abs({{ trillionths }}) * 2000 + abs({{ quantity }})) // nullif(2 * abs({{ quantity }}), 0)) as numeric(38, 0)
    ) * cast(0.000000000001 as numeric(12, 12))
{%- endmacro %}
