{# One sentence on why a row of fct_anomalies is there, from its columns and the name of its weekday. #}
{% macro anomaly_explanation() -%}
    case metric
        {%- for metric, name, unit, factor, decimals in [
            ('cost_usd', 'Cost', ' USD', 1, 2), ('error_rate', 'Error rate', '%', 100, 1),
            ('mean_latency_ms', 'Mean latency', ' ms', 1, 0)
        ] %}
        when '{{ metric }}'
            then '{{ name }} of ' || {{ readable('observed_value * ' ~ factor, decimals) }} || '{{ unit }} is '
            || case when observed_value > upper_bound then 'above' else 'below' end || ' the band of ' || {{ readable('lower_bound * ' ~ factor, decimals) }} || ' to '
            || {{ readable('upper_bound * ' ~ factor, decimals) }} || '{{ unit }}: ' || cast(baseline_day_count as varchar)
            || ' earlier ' || weekday_name || 's have a median of '
            || {{ readable('baseline_median * ' ~ factor, decimals) }} || '{{ unit }}'
        {%- endfor %}
    end
{%- endmacro %}
