{# Whether any kind of usage has another rate in `other` than in `rates`; NULL if there is no other. #}
{% macro rates_differ(rates, other) -%}
    {%- for kind in priced_kinds() %}
    {{ rates }}.{{ kind }}_rate <> {{ other }}.{{ kind }}_rate {{- ' or' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
