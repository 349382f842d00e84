{#
    Fails for every value of the days to check that occurs more than once, on whatever days: as long as all values were
    unique before, the new ones being so among all of them proves that all are.
#}
{% test unique_on_days_to_check(model, column_name) %}

{%- set days = days_to_check() %}

select {{ column_name }}
from {{ model }}
where
    {{ column_name }} is not null
    {%- if days is not none %}
    and {{ column_name }} in (select {{ column_name }} from {{ model }} where {{ falls_on(days) }})
    {%- endif %}
group by {{ column_name }}
having count(*) > 1

{% endtest %}
