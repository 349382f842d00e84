{# Why an operation has no cost, or NULL if it has one; of the CTE `chosen` of int_operations_priced, whose columns it reads. #}
{% macro unpriced_reason() -%}
    case
        when cost_source is not null then null
        when input_tokens is null and output_tokens is null and is_error then 'failed'
        when input_tokens is null and output_tokens is null then 'no_usage'
        when model is null or model = '' then 'no_model'
        when price_id is null then 'unknown_model'
        when not is_measured then 'unmeasured_units'
        else coalesce(usage_problem, 'impossible_usage')
    end
{%- endmacro %}
