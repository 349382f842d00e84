{# Whether raw operations say how much they used of the unit. #}
{% macro is_measured(unit) -%}
    {{ unit }} in (
        {%- for measured in measured_units() %}
        '{{ measured }}'{{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
