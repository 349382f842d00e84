{#
    Whether every rate of these relations is so small that a million tokens cost less than 1,000 US dollars; a rate that is not
    there is. `relations` has names of relations and the prefix of their rates.
#}
{% macro rates_are_small(relations) -%}
    greatest(
        {%- for relation, prefix in relations %}
        {%- set last_relation = loop.last %}
        {%- for kind in priced_kinds() if kind != 'request' %}
        coalesce({{ relation }}.{{ prefix }}{{ kind }}_rate, 0) {{- ',' if not (loop.last and last_relation) }}
        {%- endfor %}
        {%- endfor %}
    ) < 0.0009
{%- endmacro %}
