{#
    Fails for every combination of the `columns` that occurs more than once on a day to check. The day is one of them, so that
    rows of other days cannot be the same; NULL is a value like others.
#}
{% test unique_within_days_to_check(model, columns) %}

select {{ columns | join(', ') }}
from {{ model }}
where {{ falls_on(days_to_check()) }}
group by {{ columns | join(', ') }}
having count(*) > 1

{% endtest %}
