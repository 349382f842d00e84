{# Fails for every row whose `columns` don't ascend: one is greater than the next. NULLs are not compared. #}
{% test ascending_columns(model, columns) %}

select *
from {{ model }}
where
    false
    {%- for column in columns[:-1] %}
    or {{ column }} > {{ columns[loop.index] }}
    {%- endfor %}

{% endtest %}
