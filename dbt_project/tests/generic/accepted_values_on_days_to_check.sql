{# Fails for every row of the days to check whose value is none of `values`. NULL is accepted. #}
{% test accepted_values_on_days_to_check(model, column_name, values) %}

select {{ column_name }}
from {{ model }}
where
    {{ column_name }} not in ('{{ values | join("', '") }}')
    and {{ falls_on(days_to_check()) }}

{% endtest %}
