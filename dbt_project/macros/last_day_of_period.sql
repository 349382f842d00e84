{# The last day of the calendar's day, week, month, quarter or year (what the column `period` says) that the date is in. #}
{% macro last_day_of_period(period, date) -%}
    cast(
        date_trunc({{ period }}, cast({{ date }} as timestamp))
        + case {{ period }}
            when 'day' then interval '1 day'
            when 'week' then interval '7 days'
            when 'month' then interval '1 month'
            when 'quarter' then interval '3 months'
            when 'year' then interval '12 months'
        end as date
    ) - 1
{%- endmacro %}
