{# Fails for every row of the days to check whose value is not one of `field` in `to`. NULL is not looked up. #}
{% test relationships_on_days_to_check(model, column_name, to, field) %}

select child.{{ column_name }}
from {{ model }} as child
left join {{ to }} as parent on child.{{ column_name }} = parent.{{ field }}
where
    child.{{ column_name }} is not null
    and parent.{{ field }} is null
    and {{ falls_on(days_to_check()) }}

{% endtest %}
