{#
    The business day that budgets are looked at on: today, or the variable `budget_as_of_date`, so that a build can be
    repeated. Not the newest day with operations: a month in which nothing is spent has begun all the same.
#}
{% macro budget_as_of_date() -%}
    {%- if var('budget_as_of_date') -%}
        cast('{{ var("budget_as_of_date") }}' as date)
    {%- else -%}
        {{ business_date(to_utc('current_timestamp')) }}
    {%- endif -%}
{%- endmacro %}
