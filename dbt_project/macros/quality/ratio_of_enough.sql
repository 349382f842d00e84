{# Sum of `part` by that of `whole`, a double; NULL where the whole is less than the variable `anomaly_min_operations`. #}
{% macro ratio_of_enough(part, whole) -%}
    case
        when sum({{ whole }}) >= {{ var('anomaly_min_operations') }}
            then
                cast(cast(sum({{ part }}) as bigint) as double precision)
                / cast(cast(sum({{ whole }}) as bigint) as double precision)
    end
{%- endmacro %}
