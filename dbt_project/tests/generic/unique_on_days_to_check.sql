{#
    Fails for every value of the days to check (of `column_name`, or of several `columns` together) that occurs more than
    once, on whatever days: as long as all values were unique before, the new ones being so among all proves that all are.
#}
{% test unique_on_days_to_check(model, column_name=none, columns=none) %}

{%- set days = days_to_check() %}
{%- set key = (columns or [column_name]) | join(', ') %}

select {{ key }}
from {{ model }}
{%- if days is not none %}
where ({{ key }}) in (select {{ key }} from {{ model }} where {{ falls_on(days) }})
{%- endif %}
group by {{ key }}
having count(*) > 1

{% endtest %}
