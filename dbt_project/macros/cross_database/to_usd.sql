{#
    A recorded amount (double precision) of one operation as numeric(18, 12): the decimal number that the double stands for, as
    people write it, rounded half away from zero. It goes through text because each engine casts doubles to decimals in its own way.
    What is no amount (see is_amount) is unknown: NULL.
#}
{% macro to_usd(amount) -%}
    {{ return(adapter.dispatch('to_usd', 'llmops_warehouse')(amount)) }}
{%- endmacro %}

{% macro default__to_usd(amount) -%}
    cast(case when {{ is_amount(amount) }} then cast(cast({{ amount }} as varchar) as numeric) end as numeric(18, 12))
{%- endmacro %}

{#
    Text costs seven times what arithmetic does. Below 100 USD the double and its text differ by less than 0.01
    trillionths, and so does the product from the true one: unless it is close to a half, all of them round to the same.
#}
{% macro duckdb__to_usd(amount) -%}
    case
        when abs({{ amount }}) < 100 and abs({{ amount }} * 1e12 - round({{ amount }} * 1e12)) < 0.49
            then cast({{ amount }} as numeric(18, 12))
        when {{ is_amount(amount) }} then cast(cast({{ amount }} as varchar) as numeric(18, 12))
    end
{%- endmacro %}
