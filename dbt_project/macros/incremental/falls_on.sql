{#
    A condition: operation_date is one of the `days`, a list of dates, or of all if they are none. An `instant`, a bare
    timestamptz column, is bounded as well, for databases skip rows by bounds on what is stored, not on what is computed
    from it. No business day begins or ends as much as a day before or after the one in UTC.
#}
{% macro falls_on(days, instant=none) -%}
    {%- if days is none -%}
        true
    {%- elif not days -%}
        false
    {%- else -%}
        operation_date in (
            {%- for day in days | sort -%}
                date '{{ day }}'{% if not loop.last %}, {% endif %}
            {%- endfor -%}
        )
        {%- if instant is not none %}
        {%- set one_day = modules.datetime.timedelta(days=1) %}
        and {{ instant }} >= timestamptz '{{ days | min - one_day }} 00:00:00+00'
        and {{ instant }} < timestamptz '{{ days | max + 2 * one_day }} 00:00:00+00'
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
