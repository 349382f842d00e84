{#
    A condition: the business `day` is one that was asked to be built again, changed or not, by dbt's own options
    `--event-time-start` and, exclusive, `--event-time-end`.
#}
{% macro is_asked_for(day) -%}
    {%- set start, end = invocation_args_dict.get('event_time_start'), invocation_args_dict.get('event_time_end') -%}
    {%- if execute and start and end -%}
        ({{ day }} >= date '{{ (start | string)[:10] }}' and {{ day }} < date '{{ (end | string)[:10] }}')
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}
